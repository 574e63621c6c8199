// One entry of a cache folder: a file, and beside it a text file that says what it was made from
// and seals it with its size and hash. Half-written, truncated, altered and foreign files are not
// entries.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace emulsion {

struct CacheEntry {
  std::filesystem::path file;  // the text is file with the extension .txt
  std::string text;            // what the file is made from
};

// Whether the file is there, whole, and made from this text.
bool holds(const CacheEntry& entry);

// Puts the content in, unless a whole entry is there already (another program was faster). The
// folder is made when missing.
Status put(const CacheEntry& entry, std::string_view content);

}  // namespace emulsion
