#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <thread>

#include "base/interrupt.h"

namespace emulsion {
namespace {

using Clock = std::chrono::steady_clock;

// Closed by the destructor unless closed before.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd() { close(); }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  void reset(int fd) {
    close();
    fd_ = fd;
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }

 private:
  int fd_;
};

struct Pipe {
  Fd read, write;
  bool make() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) return false;
    read.reset(fds[0]);
    write.reset(fds[1]);
    return true;
  }
};

// The child's side of the fork: only async-signal-safe calls.
[[noreturn]] void run_child(char* const* argv, const ProcessOptions& options, const Pipe& in,
                            const Pipe& out, const Pipe& err, const Pipe& failed) {
  if (options.in_own_group) ::setpgid(0, 0);
  ::dup2(in.read.get(), 0);
  ::dup2(out.write.get(), 1);
  ::dup2(err.write.get(), 2);
  ::signal(SIGPIPE, SIG_DFL);
  bool prepared = true;
  if (options.memory_bytes > 0) {
    const rlimit limit{options.memory_bytes, options.memory_bytes};
    prepared = ::setrlimit(RLIMIT_AS, &limit) == 0;
  }
  if (prepared && !options.directory.empty()) prepared = ::chdir(options.directory.c_str()) == 0;
  if (prepared) ::execvp(argv[0], argv);
  const int reason = errno;
  (void)!::write(failed.write.get(), &reason, sizeof reason);
  ::_exit(127);
}

// Moves bytes until both outputs are closed, the time is over, or we are interrupted.
// Returns 0, ETIMEDOUT or EINTR.
int exchange(const std::string& input, Fd& in, Fd& out, Fd& err, ProcessResult& result,
             double seconds) {
  const auto start = Clock::now();
  size_t written = 0;
  if (input.empty()) in.close();
  while (out.open() || err.open()) {
    if (interrupted()) return EINTR;
    if (seconds > 0 && std::chrono::duration<double>(Clock::now() - start).count() > seconds)
      return ETIMEDOUT;
    pollfd polls[3] = {{in.get(), POLLOUT, 0}, {out.get(), POLLIN, 0}, {err.get(), POLLIN, 0}};
    if (::poll(polls, 3, 50) <= 0) continue;
    if (in.open() && polls[0].revents) {
      const ssize_t n = ::write(in.get(), input.data() + written, input.size() - written);
      if (n > 0) written += static_cast<size_t>(n);
      const bool again = n < 0 && (errno == EAGAIN || errno == EINTR);
      if (written == input.size() || (n < 0 && !again)) in.close();
    }
    const auto drain = [](Fd& fd, const pollfd& state, std::string& text) {
      if (!fd.open() || !state.revents) return;
      char buffer[1 << 16];
      const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
      if (n > 0) text.append(buffer, static_cast<size_t>(n));
      if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) fd.close();
    };
    drain(out, polls[1], result.output);
    drain(err, polls[2], result.errors);
  }
  return 0;
}

// A write to a child that died must be an error value, not a signal.
void ignore_broken_pipes() {
  static const bool done = [] {
    ::signal(SIGPIPE, SIG_IGN);
    return true;
  }();
  (void)done;
}

}  // namespace

Result<ProcessResult> run_process(const std::vector<std::string>& argv,
                                  const ProcessOptions& options) {
  EMULSION_CHECK(!argv.empty());
  ignore_broken_pipes();
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  Pipe in, out, err, failed;
  if (!in.make() || !out.make() || !err.make() || !failed.make()) {
    return failure("cannot start {}: {}", argv[0], std::strerror(errno));
  }
  const pid_t child = ::fork();
  if (child < 0) return failure("cannot start {}: {}", argv[0], std::strerror(errno));
  if (child == 0) run_child(arguments.data(), options, in, out, err, failed);

  in.read.close();
  out.write.close();
  err.write.close();
  failed.write.close();
  ::fcntl(in.write.get(), F_SETFL, O_NONBLOCK);
  int reason = 0;
  ssize_t told = 0;
  while ((told = ::read(failed.read.get(), &reason, sizeof reason)) < 0 && errno == EINTR) {
  }
  ProcessResult result;
  const int ended =
      told > 0 ? 0 : exchange(options.input, in.write, out.read, err.read, result, options.seconds);
  if (ended != 0) ::kill(options.in_own_group ? -child : child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (told > 0) return failure("cannot start {}: {}", argv[0], std::strerror(reason));
  if (ended == EINTR) return Error{"interrupted", ExitCode::interrupted};
  result.timed_out = ended == ETIMEDOUT;
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

void parallel_for(int count, int workers, const std::function<void(int)>& job) {
  std::atomic<int> next{0};
  const auto work = [&] {
    for (int i = next++; i < count; i = next++) job(i);
  };
  std::vector<std::thread> threads;
  for (int t = 1; t < std::min(workers, count); ++t) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
}

std::string find_program(const std::string& name) {
  namespace fs = std::filesystem;
  if (name.find('/') != std::string::npos) return ::access(name.c_str(), X_OK) == 0 ? name : "";
  const char* path = std::getenv("PATH");
  const std::string folders = path ? path : "/usr/local/bin:/usr/bin:/bin";
  for (size_t begin = 0; begin <= folders.size();) {
    size_t end = folders.find(':', begin);
    if (end == std::string::npos) end = folders.size();
    const fs::path candidate = fs::path(folders.substr(begin, end - begin)) / name;
    std::error_code ec;
    if (fs::is_regular_file(candidate, ec) && ::access(candidate.c_str(), X_OK) == 0)
      return candidate.string();
    begin = end + 1;
  }
  return "";
}

std::string this_program() {
  std::error_code ec;
  return std::filesystem::read_symlink("/proc/self/exe", ec).string();
}

}  // namespace emulsion
