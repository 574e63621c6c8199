# emulsion_library, emulsion_program and emulsion_test: our targets with our warnings and sanitizers.

add_library(emulsion_flags INTERFACE)
target_include_directories(emulsion_flags INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR})
target_compile_options(emulsion_flags INTERFACE -Wall -Wextra -Wno-missing-field-initializers)
if(EMULSION_WERROR)
  target_compile_options(emulsion_flags INTERFACE -Werror)
endif()
if(EMULSION_SANITIZE)
  target_compile_options(emulsion_flags INTERFACE -fsanitize=${EMULSION_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(emulsion_flags INTERFACE -fsanitize=${EMULSION_SANITIZE})
endif()

# emulsion_library(NAME folder SOURCES a.cpp... LINK other...): the static library emulsion_<folder>.
function(emulsion_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_library(emulsion_${name} STATIC ${arg_SOURCES})
  target_link_libraries(emulsion_${name} PUBLIC emulsion_flags ${arg_LINK})
endfunction()

# emulsion_test(name SOURCES a_test.cpp LINK lib... LABELS unit... [TIMEOUT seconds]): one GoogleTest program,
# each test of it known to ctest.
function(emulsion_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LINK;LABELS" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LINK} emulsion_flags GTest::gtest GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE
    EMULSION_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
    EMULSION_PROGRAM="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/emulsion"
    EMULSION_PYTHON="${CMAKE_SOURCE_DIR}/.venv/bin/python")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST
    PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT})
endfunction()
