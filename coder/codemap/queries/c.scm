; Definitions in C: @definition.KIND is the whole node, @declarator what its name is inside of.

(function_definition declarator: (_) @declarator) @definition.function

(struct_specifier name: (type_identifier) @name body: (_)) @definition.struct

(union_specifier name: (type_identifier) @name body: (_)) @definition.union

(enum_specifier name: (type_identifier) @name body: (_)) @definition.enum

(type_definition declarator: (_) @declarator) @definition.type

(preproc_def name: (identifier) @name value: (_)) @definition.macro

(preproc_function_def name: (identifier) @name) @definition.macro

; Prototypes and variables of the file, a header's guard around them or not; those inside a function are nobody's business.
(translation_unit (declaration declarator: (_) @declarator) @definition.declaration)

(translation_unit [
  (preproc_ifdef (declaration declarator: (_) @declarator) @definition.declaration)
  (preproc_if (declaration declarator: (_) @declarator) @definition.declaration)
  (preproc_ifdef [
    (preproc_ifdef (declaration declarator: (_) @declarator) @definition.declaration)
    (preproc_if (declaration declarator: (_) @declarator) @definition.declaration)
    (preproc_else (declaration declarator: (_) @declarator) @definition.declaration)
  ])
  (preproc_if [
    (preproc_ifdef (declaration declarator: (_) @declarator) @definition.declaration)
    (preproc_if (declaration declarator: (_) @declarator) @definition.declaration)
    (preproc_else (declaration declarator: (_) @declarator) @definition.declaration)
  ])
])
