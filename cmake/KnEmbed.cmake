# kn_embed(target NAMESPACE ns name FILES file... [BASE dir])
#   Puts files into the binary of `target`. Code finds them by declaring
#       namespace ns { extern const std::span<const kn::EmbeddedFile> name; }      (see kubernaut/base/embedded.hpp)
#   Paths are relative to BASE (default: the current source folder), in order of name. A changed file rebuilds only the generated source.
#   Bytes are written as string literals in pieces, so that text, images and compressed files all work.
set(KN_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/KnEmbedScript.cmake)

function(kn_embed target)
    cmake_parse_arguments(ARG "" "BASE" "NAMESPACE;FILES" ${ARGN})
    list(GET ARG_NAMESPACE 0 namespace)
    list(GET ARG_NAMESPACE 1 name)
    if(NOT ARG_BASE)
        set(ARG_BASE ${CMAKE_CURRENT_SOURCE_DIR})
    endif()
    list(SORT ARG_FILES)
    set(output ${CMAKE_CURRENT_BINARY_DIR}/${target}_${name}_embedded.cpp)
    set(list_file ${CMAKE_CURRENT_BINARY_DIR}/${target}_${name}_embedded.txt)
    string(REPLACE ";" "\n" listed "${ARG_FILES}")
    file(CONFIGURE OUTPUT ${list_file} CONTENT "${listed}\n")
    add_custom_command(
        OUTPUT ${output}
        COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} -DNAMESPACE=${namespace} -DNAME=${name} -DBASE=${ARG_BASE} -DLIST=${list_file} -P ${KN_EMBED_SCRIPT}
        DEPENDS ${ARG_FILES} ${list_file} ${KN_EMBED_SCRIPT}
        VERBATIM)
    target_sources(${target} PRIVATE ${output})
endfunction()
