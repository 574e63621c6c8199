# Everything we build on. Debian's packages, and Halide from the PyPI wheel in .venv (see ./dev setup).

find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(Eigen3 REQUIRED NO_MODULE)
find_package(Protobuf REQUIRED)
find_package(Threads REQUIRED)
find_path(CLI11_INCLUDE_DIR CLI/CLI.hpp REQUIRED)
find_path(XXHASH_INCLUDE_DIR xxhash.h REQUIRED)
find_path(ONNX_INCLUDE_DIR onnx/onnx-ml.pb.h REQUIRED)
find_library(ONNX_PROTO_LIBRARY onnx_proto REQUIRED)

if(NOT Halide_DIR)
  execute_process(
    COMMAND ${CMAKE_SOURCE_DIR}/.venv/bin/python -c "import halide; print(halide.install_dir())"
    OUTPUT_VARIABLE HALIDE_SDK OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE halide_rc)
  if(NOT halide_rc EQUAL 0)
    message(FATAL_ERROR "No Halide: run ./dev setup, or pass -DHalide_DIR=<sdk>/lib64/cmake/Halide")
  endif()
  set(Halide_DIR ${HALIDE_SDK}/lib64/cmake/Halide)
  set(HalideHelpers_DIR ${HALIDE_SDK}/lib64/cmake/HalideHelpers)
endif()
set(Python3_EXECUTABLE ${CMAKE_SOURCE_DIR}/.venv/bin/python)
find_package(Halide 21 REQUIRED COMPONENTS shared)
