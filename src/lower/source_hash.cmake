# cmake -DOUT=codegen_version.h -DSOURCES=a.cpp,b.cpp -P source_hash.cmake
# Writes a header with a hash of the sources that decide what code a kernel gets, so that kernels cached by an
# older build are never taken for this one's.
string(REPLACE "," ";" SOURCES "${SOURCES}")
set(all "")
foreach(source ${SOURCES})
  file(SHA256 ${source} one)
  string(APPEND all ${one})
endforeach()
string(SHA256 version "${all}")
string(SUBSTRING ${version} 0 16 version)
file(WRITE ${OUT}.new
  "#pragma once\nnamespace emulsion {\ninline constexpr const char* k_codegen_version = \"${version}\";\n}\n")
file(COPY_FILE ${OUT}.new ${OUT} ONLY_IF_DIFFERENT)
file(REMOVE ${OUT}.new)
