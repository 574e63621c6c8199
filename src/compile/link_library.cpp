#include "compile/link_library.h"

#include <elf.h>

#include <cstring>
#include <functional>

#include "base/file.h"
#include "base/process.h"

namespace emulsion {
namespace fs = std::filesystem;
namespace {

// The line of a tool's output that says most: the first with an error, else the first.
std::string complaint(const std::string& errors) {
  const size_t at = errors.find("error: ");
  const size_t begin = at == std::string::npos ? 0 : errors.rfind('\n', at) + 1;
  const std::string line = errors.substr(begin, errors.find('\n', begin) - begin);
  return line.empty() ? "it does not say why" : line;
}

// Runs a tool; its complaint is the error.
Status run_tool(const std::vector<std::string>& command, const std::string& folder = "") {
  if (command[0] == "cc" && find_program("cc").empty()) {
    return failure(
        "there is no C compiler: install clang (./dev setup does), or name one with --cc");
  }
  if (find_program(command[0]).empty()) {
    return failure("{} is missing: install it (./dev setup does)", command[0]);
  }
  ProcessOptions options;
  options.directory = folder;
  TRY(const ProcessResult result, run_process(command, options));
  if (result.exit_code == 0) return ok();
  return failure("{} failed with code {}: {}", command[0], result.exit_code,
                 complaint(result.errors));
}

std::string usable_cc(const std::string& cc) {
  return cc == "clang" && find_program(cc).empty() ? "cc" : cc;
}

// Calls visit on each section header of a 64-bit ELF object.
Status for_sections(const fs::path& object,
                    const std::function<void(const std::string& bytes, const Elf64_Ehdr& header,
                                             const Elf64_Shdr& section)>& visit) {
  TRY(const std::string bytes, read_file(object));
  Elf64_Ehdr header;
  if (bytes.size() < sizeof header || bytes.compare(0, SELFMAG, ELFMAG) != 0) {
    return failure("{}: is not an object file", object.string());
  }
  std::memcpy(&header, bytes.data(), sizeof header);
  for (int i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section;
    const size_t offset = header.e_shoff + static_cast<size_t>(i) * sizeof section;
    if (offset + sizeof section > bytes.size()) {
      return failure("{}: is a damaged object file", object.string());
    }
    std::memcpy(&section, bytes.data() + offset, sizeof section);
    visit(bytes, header, section);
  }
  return ok();
}

Elf64_Shdr section_header(const std::string& bytes, const Elf64_Ehdr& header, size_t index) {
  Elf64_Shdr section{};
  const size_t offset = header.e_shoff + index * sizeof section;
  if (offset + sizeof section <= bytes.size())
    std::memcpy(&section, bytes.data() + offset, sizeof section);
  return section;
}

}  // namespace

bool library_holds(int64_t weights_bytes) {
  // The rest is for code, and for what it is linked with.
  return weights_bytes <= (int64_t{2} << 30) - (int64_t{128} << 20);
}

Status compile_c(const std::string& cc, const fs::path& folder, const std::string& source,
                 const std::string& object) {
  return run_tool(
      {usable_cc(cc), "-std=gnu11", "-O2", "-fPIC", "-Wall", "-c", source, "-o", object},
      folder.string());
}

Status link_library(const std::vector<fs::path>& objects, const std::vector<std::string>& symbols,
                    const fs::path& merged, const fs::path& library) {
  std::vector<std::string> link = {"ld.lld", "-r", "-o", merged.string()};
  for (const fs::path& object : objects) link.push_back(object.string());
  TRY_OK(run_tool(link));
  // Groups of sections are known by global names: as long as they are, a program with two networks
  // would get one copy of them, and references to the other would break.
  std::vector<std::string> localize = {"llvm-objcopy", "--remove-section=.group"};
  for (const std::string& symbol : symbols) localize.push_back("--keep-global-symbol=" + symbol);
  localize.push_back(merged.string());
  TRY_OK(run_tool(localize));
  return run_tool({"llvm-ar", "rcsD", library.string(), merged.string()});
}

Status link_shared(const std::string& cc, const fs::path& library, const fs::path& shared_library) {
  return run_tool({usable_cc(cc), "-shared", "-fuse-ld=lld", "-o", shared_library.string(),
                   "-Wl,--whole-archive", library.string(), "-Wl,--no-whole-archive", "-lpthread",
                   "-ldl", "-lm"});
}

Result<bool> refers_to(const std::vector<fs::path>& objects, const std::string& symbol) {
  bool found = false;
  for (const fs::path& object : objects) {
    const auto visit = [&](const std::string& bytes, const Elf64_Ehdr& header,
                           const Elf64_Shdr& section) {
      if (section.sh_type != SHT_SYMTAB) return;
      const Elf64_Shdr names = section_header(bytes, header, section.sh_link);
      for (size_t at = 0; at + sizeof(Elf64_Sym) <= section.sh_size; at += sizeof(Elf64_Sym)) {
        if (section.sh_offset + at + sizeof(Elf64_Sym) > bytes.size()) return;
        Elf64_Sym entry;
        std::memcpy(&entry, bytes.data() + section.sh_offset + at, sizeof entry);
        const size_t name = names.sh_offset + entry.st_name;
        found |=
            entry.st_shndx == SHN_UNDEF && name < bytes.size() && symbol == bytes.c_str() + name;
      }
    };
    TRY_OK(for_sections(object, visit));
  }
  return found;
}

Result<int64_t> code_bytes(const fs::path& object) {
  int64_t total = 0;
  TRY_OK(
      for_sections(object, [&](const std::string&, const Elf64_Ehdr&, const Elf64_Shdr& section) {
        if (section.sh_flags & SHF_EXECINSTR) total += static_cast<int64_t>(section.sh_size);
      }));
  return total;
}

}  // namespace emulsion
