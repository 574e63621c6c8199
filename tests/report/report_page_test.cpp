// The report in a real browser: it renders, whole and without a network. With
// EMULSION_SCREENSHOTS=FOLDER the pictures are kept there.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "base/process.h"
#include "example_report.h"

namespace emulsion {
namespace {

namespace fs = std::filesystem;

// Width, height and number of colours of a PNG, by Python's standard library alone.
constexpr const char* k_look = R"(
import struct, sys, zlib
data = open(sys.argv[1], "rb").read()
assert data[:8] == b"\x89PNG\r\n\x1a\n"
at, idat = 8, b""
while at < len(data):
    size, kind = struct.unpack(">I4s", data[at:at + 8])
    body = data[at + 8:at + 8 + size]
    if kind == b"IHDR": width, height, depth, colour = struct.unpack(">IIBB", body[:10])
    if kind == b"IDAT": idat += body
    at += 12 + size
assert depth == 8 and colour in (2, 6)
step = 3 if colour == 2 else 4
raw = zlib.decompress(idat)
rows, last = [], bytes(width * step)
for y in range(height):
    kind, line = raw[y * (width * step + 1)], bytearray(raw[y * (width * step + 1) + 1:(y + 1) * (width * step + 1)])
    for i in range(len(line)):
        a = line[i - step] if i >= step else 0
        b, c = last[i], last[i - step] if i >= step else 0
        p = a + b - c
        paeth = a if abs(p - a) <= min(abs(p - b), abs(p - c)) else b if abs(p - b) <= abs(p - c) else c
        line[i] = (line[i] + (0, a, b, (a + b) // 2, paeth)[kind]) & 255
    last = bytes(line)
    rows.append(last)
pixels = b"".join(rows)
blue = sum(pixels[i:i + 3] == b"\x25\x63\xeb" for i in range(0, len(pixels), step))
ink = sum(pixels[i:i + 3] != b"\xff\xff\xff" for i in range(0, len(pixels), step))
print(width, height, blue, ink)
assert width == 1300 and height == 1700
assert blue > 500, "no bars or front"
assert ink > 50000, "an empty page"
)";

void expect_renders(const ExplorationReport& report, const std::string& name) {
  const std::string browser = find_program("chromium");
  if (browser.empty()) GTEST_SKIP() << "[SKIP] no chromium; ./dev setup installs it";
  TemporaryDirectory folder;
  const fs::path page = folder.path() / "report.html", picture = folder.path() / "report.png";
  ASSERT_TRUE(write_file(page, to_html(to_json(report))).ok());
  ProcessOptions options;
  options.seconds = 90;
  const auto result = run_process(
      {browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
       "--window-size=1300,1700", "--user-data-dir=" + (folder.path() / "profile").string(),
       "--screenshot=" + picture.string(), "file://" + page.string()},
      options);
  ASSERT_TRUE(result.ok()) << result.error().message;
  ASSERT_TRUE(fs::exists(picture)) << result->errors;
  const auto look = run_process({EMULSION_PYTHON, "-c", k_look, picture.string()});
  ASSERT_TRUE(look.ok());
  EXPECT_EQ(look->exit_code, 0) << look->output << look->errors;
  if (const char* keep = std::getenv("EMULSION_SCREENSHOTS")) {
    fs::copy_file(picture, fs::path(keep) / (name + ".png"), fs::copy_options::overwrite_existing);
  }
}

TEST(ReportPage, OfATrainedNetworkRenders) {
  expect_renders(example_report(), "trained");
}

// Two searches in one report.
TEST(ReportPage, OfTwoStrategiesRenders) {
  const std::string browser = find_program("chromium");
  if (browser.empty()) GTEST_SKIP() << "[SKIP] no chromium; ./dev setup installs it";
  expect_renders(untrained_report(), "untrained");
}

}  // namespace
}  // namespace emulsion
