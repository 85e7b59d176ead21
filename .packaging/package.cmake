# cpack -G DEB makes the package `caesura`: the command, caesura-verify, a unit of systemd and what belongs to them. The library is not in it: what it is
# embedded in is built with it.

set(completion ${CMAKE_CURRENT_BINARY_DIR}/caesura.bash)
add_custom_command(OUTPUT ${completion} COMMAND caesura_command completion bash > ${completion} DEPENDS caesura_command VERBATIM)
add_custom_target(caesura_completion DEPENDS ${completion})
# Everything that the package needs.
add_custom_target(caesura_package DEPENDS caesura_command caesura-verify caesura_completion)

# Left out of `cmake --install`, which has no business in /etc.
install(FILES ${completion} DESTINATION share/bash-completion/completions RENAME caesura COMPONENT command EXCLUDE_FROM_ALL)
install(FILES .packaging/caesura.service DESTINATION lib/systemd/system COMPONENT command EXCLUDE_FROM_ALL)
install(FILES .packaging/caesura.default DESTINATION /etc/default RENAME caesura COMPONENT command EXCLUDE_FROM_ALL)
install(FILES .packaging/copyright DESTINATION share/doc/caesura COMPONENT command EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME caesura)
set(CPACK_PACKAGE_CONTACT "The Caesura authors <caesura@localhost>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_COMPONENTS_ALL command)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION misc)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "server and command for durable functions that can be cancelled")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "Functions made of steps whose results are recorded: they sleep for a week, survive a
crash, and are cancelled by an event or a call. The server speaks the protocol of
Inngest's SDKs; the command talks to it and checks its store.")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA "${CMAKE_CURRENT_SOURCE_DIR}/.packaging/conffiles;${CMAKE_CURRENT_SOURCE_DIR}/.packaging/postinst;${CMAKE_CURRENT_SOURCE_DIR}/.packaging/prerm;${CMAKE_CURRENT_SOURCE_DIR}/.packaging/postrm")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
