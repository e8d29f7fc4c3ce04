; Definitions in C++ and in headers of C: @definition.KIND is the whole node, @declarator what its name is inside of.

(function_definition declarator: (_) @declarator (field_initializer_list)? @body) @definition.function

(class_specifier name: (_) @declarator body: (_)) @definition.class

(struct_specifier name: (_) @declarator body: (_)) @definition.struct

(union_specifier name: (_) @declarator body: (_)) @definition.union

(enum_specifier name: (_) @declarator body: (_)) @definition.enum

(type_definition declarator: (_) @declarator) @definition.type

(alias_declaration name: (type_identifier) @name) @definition.type

(concept_definition name: (identifier) @name) @definition.concept

(preproc_def name: (identifier) @name value: (_)) @definition.macro

(preproc_function_def name: (identifier) @name) @definition.macro

; What a class declares: functions, and data that all its objects share.
(field_declaration declarator: [
  (function_declarator)
  (pointer_declarator declarator: (function_declarator))
  (reference_declarator (function_declarator))
] @declarator) @definition.declaration

(field_declaration (storage_class_specifier) declarator: (field_identifier) @name) @definition.declaration

(field_declaration_list (declaration declarator: (_) @declarator) @definition.declaration)

(field_declaration_list (template_declaration (declaration declarator: (_) @declarator) @definition.declaration))

; Prototypes and variables of a file or namespace; those inside a function are nobody's business.
(translation_unit (declaration declarator: (_) @declarator) @definition.declaration)

(translation_unit (template_declaration (declaration declarator: (_) @declarator) @definition.declaration))

(translation_unit (preproc_ifdef (declaration declarator: (_) @declarator) @definition.declaration))

(declaration_list (declaration declarator: (_) @declarator) @definition.declaration)

(declaration_list (template_declaration (declaration declarator: (_) @declarator) @definition.declaration))
