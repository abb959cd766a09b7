# Fails, naming the file and the line, where an #include passes through a wall between two rooms.
get_filename_component(root ${CMAKE_CURRENT_LIST_DIR} DIRECTORY)
# Always open: the standard library (no folder, no suffix) and the room's own files (no folder, in quotes).
set(open "[a-z0-9_]+>|[a-z0-9_]+\\.[hi]pp\"")
set(crossings "")

# The files that match the patterns include nothing but what the regular expressions of `may` name.
function(room may)
  file(GLOB_RECURSE files RELATIVE ${root} ${ARGN})
  list(JOIN may "|" allowed)
  foreach(file IN LISTS files)
    file(STRINGS ${root}/${file} includes REGEX "^[ \t]*#[ \t]*include")
    foreach(include IN LISTS includes)
      if(NOT include MATCHES "include[ \t]*[<\"](${open}|${allowed})")
        string(APPEND crossings "\n  ${file}: ${include}")
      endif()
    endforeach()
  endforeach()
  set(crossings "${crossings}" PARENT_SCOPE)
endfunction()

# solvers/ could be lifted out: a pendulum needs no transformer.
room("solvers/;Eigen/" ${root}/solvers/*.hpp)
room("solvers/;Eigen/;boost/" ${root}/solvers/*.cpp ${root}/solvers/*.ipp)
# Public headers show no HDF5, TOML, ICU or Boost to those who include them.
room("gradflow/;solvers/;Eigen/" ${root}/include/gradflow/*.hpp)
# Inside, data flow one way, and no file formats reach the mathematics.
set(tools "Eigen/;boost/;solvers/;fmt/")
room("${tools};unicode/;nlohmann/;(gradflow/)?tasks/" ${root}/src/tasks/* ${root}/include/gradflow/tasks/*)
room("${tools};(gradflow/)?(model|tasks)/" ${root}/src/model/* ${root}/include/gradflow/model/*)
room("${tools};emmintrin\\.h;(gradflow/)?(flows|model|tasks)/" ${root}/src/flows/* ${root}/include/gradflow/flows/*)
room("${tools};(gradflow/)?(descent|flows|model|tasks)/" ${root}/src/descent/* ${root}/include/gradflow/descent/*)
room("${tools};(gradflow/)?(observables|flows|model|tasks)/" ${root}/src/observables/* ${root}/include/gradflow/observables/*)
room("hdf5;fmt/;boost/;(sys/)?[a-z]+\\.h>;(gradflow/)?storage/" ${root}/src/storage/*)
if(crossings)
  message(FATAL_ERROR "These lines include what their room must not know (the rules stand in tests/boundaries.cmake):${crossings}")
endif()
