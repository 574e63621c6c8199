#include "base/npy.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/process.h"

namespace emulsion {
namespace {

std::string npy_bytes(const std::string& header, const std::string& data) {
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 255);
  bytes += static_cast<char>(header.size() >> 8);
  return bytes + header + data;
}

TEST(Npy, RoundTripsFloats) {
  TemporaryDirectory directory;
  const std::vector<float> values{0.5f, -1, 3e20f, 7, 8, 9};
  ASSERT_TRUE(write_npy(directory.path() / "a.npy", {1, 2, 3}, values).ok());
  const auto npy = read_npy(directory.path() / "a.npy");
  ASSERT_TRUE(npy.ok()) << npy.error().message;
  EXPECT_EQ(npy->shape, (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(std::vector<float>(npy->values.begin(), npy->values.end()), values);
  EXPECT_FALSE(npy->integral);
}

TEST(Npy, ReadsWhatNumPyWritesAndNumPyReadsWhatWeWrite) {
  TemporaryDirectory directory;
  const std::string folder = directory.path().string();
  ASSERT_TRUE(write_npy(directory.path() / "ours.npy", {2, 2}, {1, 2, 3, 4}).ok());
  const auto result = run_process({EMULSION_PYTHON, "-c",
                                   "import numpy as np\n"
                                   "for t in 'f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 bool'.split():\n"
                                   "    np.save(t + '.npy', np.array([[1, 0, 1]], t))\n"
                                   "assert (np.load('ours.npy') == [[1, 2], [3, 4]]).all()\n"},
                                  {.directory = folder});
  ASSERT_TRUE(result.ok());
  if (result->errors.find("No module named 'numpy'") != std::string::npos)
    GTEST_SKIP() << "[SKIP] no NumPy";
  ASSERT_EQ(result->exit_code, 0) << result->errors;
  for (const char* type : {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "bool"}) {
    const auto npy = read_npy(directory.path() / (std::string(type) + ".npy"));
    ASSERT_TRUE(npy.ok()) << npy.error().message;
    EXPECT_EQ(npy->values, (std::vector<double>{1, 0, 1})) << type;
    EXPECT_EQ(npy->integral, type[0] != 'f') << type;
  }
}

TEST(Npy, RefusesWhatItCannotRead) {
  const struct {
    std::string bytes, reason;
  } cases[] = {
      {"hello", "not a .npy file"},
      {npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", "1234"),
       "truncated"},
      {npy_bytes("{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }\n", "1234"), "Fortran"},
      {npy_bytes("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }\n", "12345678"),
       "number type"},
      {npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999, 99999999), }\n", ""),
       "too large"},
      {npy_bytes("{'descr': '<f4'}\n", ""), "no shape"},
      {std::string("\x93NUMPY\x01\x00\xff\xff", 10), "truncated"},
      {std::string("\x93NUMPY\x09\x00\x00\x00\x00\x00", 12), "version 9"},
  };
  for (const auto& [bytes, reason] : cases) {
    const auto npy = parse_npy(bytes, "x.npy");
    ASSERT_FALSE(npy.ok()) << reason;
    EXPECT_NE(npy.error().message.find(reason), std::string::npos) << npy.error().message;
    EXPECT_EQ(npy.error().message.rfind("x.npy", 0), 0u);
  }
}

}  // namespace
}  // namespace emulsion
