# Grammars: with -DJSG_XGRAMMAR=FOLDER, which scripts/xgrammar/library.mjs has made; without it requests for them are refused.
set(JSG_XGRAMMAR "" CACHE STRING "folder with XGrammar's static library and its sources; empty: no structured output")
file(GLOB GRAMMAR_SOURCES CONFIGURE_DEPENDS grammar/*.cpp)
if(JSG_XGRAMMAR)
  target_sources(jsg_core PRIVATE ${GRAMMAR_SOURCES})
  target_include_directories(jsg_core SYSTEM PRIVATE ${JSG_XGRAMMAR}/source/include
                             ${JSG_XGRAMMAR}/source/3rdparty/dlpack/include)
  target_compile_definitions(jsg_core PUBLIC JSG_XGRAMMAR)
  target_link_libraries(jsg_core PUBLIC ${JSG_XGRAMMAR}/lib/libxgrammar.a)
  # So that what a grammar makes the library allocate is counted, and ends in time: grammar/budget.h.
  target_link_options(jsg_core INTERFACE "LINKER:--wrap=_Znwm,--wrap=_ZdlPvm")
endif()
