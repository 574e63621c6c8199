// NumPy reads our archives: names, shapes and values, of scalars and empty arrays too.
#include "base/npz.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/process.h"

namespace emulsion {
namespace {

TEST(Npz, IsReadByNumpy) {
  const std::vector<float> six{0, 1, 2, 3, 4, 5.5f}, one{7}, none;
  const Result<std::string> bytes = npz_bytes({{"a.weight", {2, 3}, &six},
                                               {"scalar", {}, &one},
                                               {"line", {1}, &one},
                                               {"none", {0, 4}, &none}});
  ASSERT_TRUE(bytes.ok()) << bytes.error().message;
  const TemporaryDirectory folder;
  const auto file = folder.path() / "t.npz";
  ASSERT_TRUE(write_file(file, *bytes).ok());
  constexpr const char* k_script = R"(
import sys, zipfile
import numpy as np
assert zipfile.ZipFile(sys.argv[1]).testzip() is None
arrays = np.load(sys.argv[1])
assert arrays.files == ["a.weight", "scalar", "line", "none"], arrays.files
np.testing.assert_array_equal(arrays["a.weight"], np.array([[0, 1, 2], [3, 4, 5.5]], np.float32))
assert arrays["scalar"].shape == () and arrays["scalar"] == 7
assert arrays["line"].shape == (1,) and arrays["none"].shape == (0, 4)
assert all(arrays[n].dtype == np.float32 for n in arrays.files)
)";
  const auto run = run_process({EMULSION_PYTHON, "-c", k_script, file.string()});
  ASSERT_TRUE(run.ok()) << run.error().message;
  EXPECT_EQ(run->exit_code, 0) << run->errors;
}

}  // namespace
}  // namespace emulsion
