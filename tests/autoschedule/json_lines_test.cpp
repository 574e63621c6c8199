#include "autoschedule/json_lines.h"

#include <gtest/gtest.h>

#include "base/file.h"

namespace emulsion {
namespace {

class JsonLinesTest : public ::testing::Test {
 protected:
  TemporaryDirectory folder_;
  std::filesystem::path path_ = folder_.path() / "lines.jsonl";
};

TEST_F(JsonLinesTest, LinesAreReadBackInOrder) {
  auto lines = JsonLines::open(path_);
  ASSERT_TRUE(lines.ok());
  EXPECT_TRUE(lines->lines().empty());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(lines->append({{"i", i}}).ok());
  const auto again = JsonLines::open(path_);
  ASSERT_EQ(again->lines().size(), 3u);
  EXPECT_EQ(again->lines()[2]["i"], 2);
}

// Killed at any byte: what was whole is kept, and the file goes on from there.
TEST_F(JsonLinesTest, AFileCutAtAnyByteGoesOn) {
  const std::string text = "{\"i\":0}\n{\"i\":1}\n";
  for (size_t length = 0; length <= text.size(); ++length) {
    ASSERT_TRUE(write_file(path_, text.substr(0, length)).ok());
    auto lines = JsonLines::open(path_);
    ASSERT_TRUE(lines.ok()) << lines.error().message;
    const size_t whole = length / 8;
    EXPECT_EQ(lines->lines().size(), whole);
    ASSERT_TRUE(lines->append({{"i", 9}}).ok());
    EXPECT_EQ(*read_file(path_), text.substr(0, whole * 8) + "{\"i\":9}\n");
  }
}

TEST_F(JsonLinesTest, ADamagedLineIsNamed) {
  ASSERT_TRUE(write_file(path_, "{\"i\":0}\nnonsense\n{\"i\":1}\n").ok());
  const auto lines = JsonLines::open(path_);
  ASSERT_FALSE(lines.ok());
  EXPECT_NE(lines.error().message.find("line 2"), std::string::npos);
}

}  // namespace
}  // namespace emulsion
