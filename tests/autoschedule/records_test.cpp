#include "autoschedule/records.h"

#include <gtest/gtest.h>

#include "base/file.h"

namespace emulsion {
namespace {

class RecordsTest : public ::testing::Test {
 protected:
  TemporaryDirectory folder_;
  std::filesystem::path path_ = folder_.path() / "records.jsonl";
};

TEST_F(RecordsTest, AreReadBackAsWritten) {
  auto records = Records::open(path_, 1);
  ASSERT_TRUE(records.ok());
  ASSERT_TRUE(records->add("k_1", KernelTime{0.1, 0.25, 0.3, 1.0 / 3, 42}).ok());
  ASSERT_TRUE(records->add("n_1", NetworkRecord{1, 2, 3, 4, 0.75, {{"k_1", 0.5}}}).ok());
  const auto again = Records::open(path_, 1);
  ASSERT_TRUE(again.ok()) << again.error().message;
  ASSERT_TRUE(again->kernel("k_1").has_value());
  EXPECT_EQ(again->kernel("k_1")->cold_median_ms, 1.0 / 3);
  EXPECT_EQ(again->kernel("k_1")->calls, 42);
  EXPECT_EQ(again->network("n_1")->original_median_ms, 4);
  EXPECT_EQ(again->network("n_1")->parts_ms, 0.75);
  EXPECT_EQ(again->network("n_1")->kernels_ms, (std::map<std::string, double>{{"k_1", 0.5}}));
  EXPECT_FALSE(again->kernel("k_2").has_value());
}

TEST_F(RecordsTest, SayWhatWasExpectedAndTheMachinesRates) {
  auto records = Records::open(path_, 1).value();
  EXPECT_FALSE(records.rates());
  ASSERT_TRUE(records.add(MachineRates{200, 15}).ok());
  ASSERT_TRUE(records.add("k_1", KernelTime{0.1, 0.2, 0.3, 0.4, 5}, "direct", 0.25).ok());
  ASSERT_TRUE(records.add("k_2", KernelTime{0.1, 0.2, 0.3, 0.4, 5}).ok());
  const auto again = Records::open(path_, 1).value();
  ASSERT_TRUE(again.rates());
  EXPECT_EQ(again.rates()->peak_gflops, 200);
  EXPECT_EQ(again.rates()->stream_gbps, 15);
  ASSERT_EQ(again.modelled().size(), 1);
  EXPECT_EQ(again.modelled()[0].way, "direct");
  EXPECT_EQ(again.modelled()[0].roofline_ms, 0.25);
  EXPECT_EQ(again.modelled()[0].cold_ms, 0.3);
  EXPECT_TRUE(Records::open(path_, 2).value().modelled().empty());
  EXPECT_FALSE(Records::open(path_, 2).value().rates());
}

TEST_F(RecordsTest, NameNetworksByBothPlans) {
  const Plan none;
  Plan other;
  other.threads = 2;
  EXPECT_EQ(network_key(none, other), network_key(none, other));
  EXPECT_NE(network_key(none, other), network_key(other, none));
  EXPECT_NE(network_key(none, other), network_key(none, none));
}

TEST_F(RecordsTest, OfOtherMachinesAndThreadsDoNotCount) {
  auto records = Records::open(path_, 1);
  ASSERT_TRUE(records->add("k_1", KernelTime{}).ok());
  EXPECT_FALSE(Records::open(path_, 2)->kernel("k_1").has_value());
  std::string text = *read_file(path_);
  text.replace(text.find(machine_fingerprint()), 3, "xyz");
  ASSERT_TRUE(write_file(path_, text).ok());
  EXPECT_FALSE(Records::open(path_, 1)->kernel("k_1").has_value());
}

TEST_F(RecordsTest, ALineThatIsNoRecordIsNamed) {
  ASSERT_TRUE(write_file(path_, "{\"threads\":1}\n").ok());
  const auto records = Records::open(path_, 1);
  ASSERT_FALSE(records.ok());
  EXPECT_NE(records.error().message.find("line 1"), std::string::npos);
}

}  // namespace
}  // namespace emulsion
