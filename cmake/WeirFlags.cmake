# SPDX-License-Identifier: Apache-2.0
# weir_flags: what every target of ours is compiled with. Parts from outside (llhttp) are not.
add_library(weir_flags INTERFACE)
target_compile_definitions(weir_flags INTERFACE _GNU_SOURCE WEIR_VERSION="${PROJECT_VERSION}")
target_compile_options(weir_flags INTERFACE
    -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wno-sign-conversion
    -Wdouble-promotion -Walloca -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wimplicit-fallthrough
    -Wformat=2 -Wundef -Wcast-qual -Wwrite-strings -fno-common
    -include ${CMAKE_SOURCE_DIR}/src/base/banned.h)
target_include_directories(weir_flags INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
target_compile_options(weir_flags INTERFACE -fstack-protector-strong)
if(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
    target_compile_options(weir_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
    target_link_options(weir_flags INTERFACE -Wl,-z,relro,-z,now)
endif()
if(WEIR_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link) # the fuzzer sees which code ran
endif()
if(WEIR_SANITIZE)
    add_compile_options(-fsanitize=${WEIR_SANITIZE} -fno-omit-frame-pointer -g)
    add_link_options(-fsanitize=${WEIR_SANITIZE})
    if(WEIR_SANITIZE MATCHES "undefined")
        add_compile_options(-fno-sanitize-recover=undefined)
    endif()
endif()

# weir_floor(NAME [DIR folder] USES ...): one static library of the folder's C files. USES are the
# only link edges, so a call to a floor above does not link.
function(weir_floor name)
    cmake_parse_arguments(F "" "DIR" "USES" ${ARGN})
    if(NOT F_DIR)
        set(F_DIR ${name})
    endif()
    file(GLOB sources CONFIGURE_DEPENDS ${F_DIR}/*.c)
    if(sources)
        add_library(weir_${name} STATIC ${sources})
        target_link_libraries(weir_${name} PUBLIC weir_flags ${F_USES})
    else()
        add_library(weir_${name} INTERFACE)
        target_link_libraries(weir_${name} INTERFACE weir_flags ${F_USES})
    endif()
endfunction()

# weir_embed(FLOOR FILE NAME): gives the floor's sources "NAME.h" with the file's bytes as NAME[].
function(weir_embed floor source name)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
    file(READ ${source} bytes HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    set(folder ${CMAKE_CURRENT_BINARY_DIR}/embedded_${floor})
    file(CONFIGURE OUTPUT ${folder}/${name}.h
        CONTENT "static const unsigned char ${name}[] = {@bytes@};\n" @ONLY)
    target_include_directories(weir_${floor} PRIVATE ${folder})
endfunction()

# weir_embed_ui(FLOOR FOLDER): gives the floor's sources "ui_table.h" with the folder's files as
# table[] of struct weir_ui_file.
function(weir_embed_ui floor folder)
    set(type_html "text/html; charset=utf-8")
    set(type_css "text/css; charset=utf-8")
    set(type_js "text/javascript; charset=utf-8")
    set(type_svg "image/svg+xml")
    set(arrays "")
    set(rows "")
    file(GLOB files CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}/${folder} ${folder}/*)
    foreach(name ${files})
        set(path ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/${name})
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
        string(REGEX REPLACE ".*\\." "" extension ${name})
        if(NOT DEFINED type_${extension})
            message(FATAL_ERROR "${path}: no content type is known for .${extension}")
        endif()
        string(MAKE_C_IDENTIFIER ${name} array)
        file(READ ${path} bytes HEX)
        string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
        file(SHA256 ${path} hash)
        string(SUBSTRING ${hash} 0 16 hash)
        string(APPEND arrays "static const uint8_t ${array}[] = {${bytes}};\n")
        string(APPEND rows "    {\"${name}\", \"${type_${extension}}\", ${array}, sizeof(${array}), "
            "\"\\\"${hash}\\\"\"},\n")
    endforeach()
    set(made ${CMAKE_CURRENT_BINARY_DIR}/embedded_${floor})
    file(CONFIGURE OUTPUT ${made}/ui_table.h
        CONTENT "${arrays}static const struct weir_ui_file table[] = {\n${rows}};\n" @ONLY)
    target_include_directories(weir_${floor} PRIVATE ${made})
endfunction()
