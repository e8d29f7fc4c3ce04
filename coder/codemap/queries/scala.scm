; Definitions in Scala 2 and 3: @definition.KIND is the whole node, @name what it is called.

(class_definition name: (_) @name) @definition.class

(object_definition name: (_) @name) @definition.object

(package_object name: (_) @name) @definition.object

(trait_definition name: (_) @name) @definition.trait

(enum_definition name: (_) @name) @definition.enum

(function_definition name: (_) @name) @definition.function

(function_declaration name: (_) @name) @definition.function

(given_definition name: (_) @name) @definition.given

(type_definition name: (_) @name) @definition.type

; Values of a file or type; those inside a function are nobody's business.
(compilation_unit [
  (val_definition pattern: (identifier) @name)
  (var_definition pattern: (identifier) @name)
] @definition.value)

(template_body [
  (val_definition pattern: (identifier) @name)
  (var_definition pattern: (identifier) @name)
  (val_declaration name: (identifier) @name)
  (var_declaration name: (identifier) @name)
] @definition.value)
