// Stable 128-bit hashes of text, as 32 hex digits, for cache keys and identities. Not for security.
#pragma once

#include <string>
#include <string_view>

namespace emulsion {

std::string hash_text(std::string_view text);

}  // namespace emulsion
