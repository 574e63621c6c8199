#include "base/file.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace emulsion {
namespace {
namespace fs = std::filesystem;

TEST(File, WritesAndReadsBackAnyBytes) {
  TemporaryDirectory directory;
  const std::string content("a\0b\xff\n", 5);
  ASSERT_TRUE(write_file(directory.path() / "f", content).ok());
  EXPECT_EQ(*read_file(directory.path() / "f"), content);
}

TEST(File, WritingLeavesNoTemporaryBehind) {
  TemporaryDirectory directory;
  ASSERT_TRUE(write_file(directory.path() / "f", "x").ok());
  int files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(directory.path())) ++files;
  EXPECT_EQ(files, 1);
}

TEST(File, AFullDiskLeavesTheOldContent) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "[SKIP] no /dev/full here";
  // The temporary beside the final name is a link to a device that is always full.
  TemporaryDirectory directory;
  const fs::path path = directory.path() / "f";
  ASSERT_TRUE(write_file(path, "old").ok());
  fs::create_symlink("/dev/full", fmt::format("{}.tmp{}", path.string(), ::getpid()));
  const Status status = write_file(path, "new");
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("No space left"), std::string::npos)
      << status.error().message;
  EXPECT_EQ(status.error().code, ExitCode::internal);
  EXPECT_EQ(*read_file(path), "old");
}

TEST(File, ADeviceIsWrittenToAndNotReplaced) {
  TemporaryDirectory directory;
  const fs::path device = directory.path() / "device";
  fs::create_symlink("/dev/null", device);
  ASSERT_TRUE(write_file(device, "x").ok());
  EXPECT_TRUE(fs::is_symlink(device));
  EXPECT_TRUE(fs::is_character_file(device));
}

TEST(File, ALinkStaysAndWhatItLeadsToIsWritten) {
  TemporaryDirectory directory;
  const fs::path file = directory.path() / "file", link = directory.path() / "link",
                 second = directory.path() / "second";
  fs::create_symlink("file", link);
  fs::create_symlink(link, second);
  for (const char* content : {"new", "newer"}) {  // nothing is there at first
    ASSERT_TRUE(write_file(second, content).ok());
    EXPECT_TRUE(fs::is_symlink(second) && fs::is_symlink(link) && !fs::is_symlink(file));
    EXPECT_EQ(*read_file(file), content);
  }
}

TEST(File, ErrorsNameThePath) {
  for (const char* path : {"/nowhere/at/all", "/"}) {
    const auto read = read_file(path);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().message.rfind(path, 0), 0u) << read.error().message;
    EXPECT_EQ(read.error().code, ExitCode::bad_input);
  }
  EXPECT_FALSE(write_file("/nowhere/at/all", "x").ok());
  EXPECT_FALSE(make_directory("/proc/emulsion").ok());
}

}  // namespace
}  // namespace emulsion
