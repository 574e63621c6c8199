#include "kernels/cache_entry.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "base/file.h"

namespace emulsion {
namespace {

class CacheEntryTest : public ::testing::Test {
 protected:
  CacheEntry entry(const std::string& text) const {
    return {folder_.path() / "cache" / "entry.o", text};
  }
  TemporaryDirectory folder_;
};

TEST_F(CacheEntryTest, what_is_put_is_held) {
  EXPECT_FALSE(holds(entry("made from this")));
  ASSERT_TRUE(put(entry("made from this"), "content").ok());
  EXPECT_TRUE(holds(entry("made from this")));
  EXPECT_EQ(*read_file(entry("").file), "content");
}

TEST_F(CacheEntryTest, content_made_from_another_text_is_not_held) {
  ASSERT_TRUE(put(entry("made from this"), "content").ok());
  EXPECT_FALSE(holds(entry("made from that")));
}

TEST_F(CacheEntryTest, a_whole_entry_is_kept_and_a_damaged_one_replaced) {
  ASSERT_TRUE(put(entry("text"), "first").ok());
  ASSERT_TRUE(put(entry("text"), "second").ok());
  EXPECT_EQ(*read_file(entry("text").file), "first");
  ASSERT_TRUE(write_file(entry("text").file, "fir").ok());
  ASSERT_TRUE(put(entry("text"), "second").ok());
  EXPECT_EQ(*read_file(entry("text").file), "second");
  EXPECT_TRUE(holds(entry("text")));
}

TEST_F(CacheEntryTest, every_damage_is_seen) {
  const std::string content = "some bytes of an object";
  const struct {
    const char* what;
    std::string file;
  } damages[] = {{"truncated", content.substr(0, 5)},
                 {"empty", ""},
                 {"longer", content + "x"},
                 {"a byte changed", "Some bytes of an object"}};
  for (const auto& damage : damages) {
    std::filesystem::remove_all(folder_.path() / "cache");
    ASSERT_TRUE(put(entry("text"), content).ok());
    ASSERT_TRUE(write_file(entry("text").file, damage.file).ok());
    EXPECT_FALSE(holds(entry("text"))) << damage.what;
  }
  for (const char* lost : {"entry.o", "entry.txt"}) {
    std::filesystem::remove_all(folder_.path() / "cache");
    ASSERT_TRUE(put(entry("text"), content).ok());
    std::filesystem::remove(folder_.path() / "cache" / lost);
    EXPECT_FALSE(holds(entry("text"))) << lost << " lost";
  }
}

TEST_F(CacheEntryTest, nothing_else_is_left_in_the_folder) {
  ASSERT_TRUE(put(entry("text"), "content").ok());
  int files = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder_.path() / "cache")) {
    ++files;
    EXPECT_TRUE(file.path().filename() == "entry.o" || file.path().filename() == "entry.txt");
  }
  EXPECT_EQ(files, 2);
}

TEST_F(CacheEntryTest, writers_and_readers_at_once_never_see_half_an_entry) {
  ASSERT_TRUE(put(entry("text 0"), std::string(1000, 'a')).ok());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const CacheEntry mine{folder_.path() / "cache" / "entry.o", "text 0"};
        EXPECT_TRUE(put(mine, std::string(1000, static_cast<char>('a' + t))).ok());
        EXPECT_TRUE(holds(mine));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(CacheEntryTest, a_folder_that_cannot_be_made_is_an_error_that_names_it) {
  ASSERT_TRUE(write_file(folder_.path() / "cache", "a file").ok());
  const Status status = put(entry("text"), "content");
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("cache"), std::string::npos);
}

}  // namespace
}  // namespace emulsion
