# The compiler and its flags. clang-19 is required: g++ 12 destroys temporaries in co_await expressions twice
# (docs/decisions/0001-compiler.md).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    message(FATAL_ERROR
        "g++ ${CMAKE_CXX_COMPILER_VERSION} miscompiles C++20 coroutines (temporaries in a co_await expression are "
        "destroyed twice). Configure with a preset (cmake --preset dev), which uses clang++-19.")
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 19)
    message(FATAL_ERROR "clang ${CMAKE_CXX_COMPILER_VERSION} is too old: Kubernaut needs clang++-19 (tools/setup.sh build).")
endif()

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(KN_CCACHE ccache)
if(KN_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${KN_CCACHE})
endif()

set(KN_SANITIZE "" CACHE STRING "address, thread or empty")
option(KN_COVERAGE "instrument for llvm-cov" OFF)
option(KN_FUZZ "build the fuzz targets (libFuzzer)" OFF)

# The flags that every target of ours has; vendors' headers come in as SYSTEM.
add_library(kn_flags INTERFACE)
target_compile_options(kn_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Werror=return-type
                                          -Werror=unused-result -Wno-missing-field-initializers -Wno-missing-designated-field-initializers)
target_compile_definitions(kn_flags INTERFACE
    BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION
    BOOST_ASIO_DISABLE_BOOST_COROUTINE SPDLOG_COMPILED_LIB SPDLOG_FMT_EXTERNAL)
target_link_options(kn_flags INTERFACE -fuse-ld=lld-19)
if(KN_SANITIZE STREQUAL "address")
    add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
    add_link_options(-fsanitize=address,undefined)
elseif(KN_SANITIZE STREQUAL "thread")
    add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
    add_link_options(-fsanitize=thread)
endif()
if(KN_FUZZ)
    # The libraries report their coverage too, else the fuzzer sees only its own file.
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(KN_COVERAGE)
    add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
    add_link_options(-fprofile-instr-generate)
endif()
