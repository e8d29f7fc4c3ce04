; Definitions in Dart: @definition.KIND is the head, @body the part behind it that belongs to it, @name what it is called.

(class_definition name: (identifier) @name) @definition.class

(mixin_declaration (identifier) @name (class_body) @body) @definition.mixin

(extension_declaration name: (identifier) @name) @definition.extension

(extension_type_declaration name: (_) @name) @definition.extension

; `extension on Set`
(extension_declaration "extension" . "on" . (type_identifier) @name) @definition.extension

(enum_declaration name: (identifier) @name) @definition.enum

(type_alias . (type_identifier) @name) @definition.type

((function_signature name: (identifier) @name) @definition.function . (function_body) @body)

((getter_signature name: (identifier) @name) @definition.getter . (function_body) @body)

((setter_signature name: (identifier) @name) @definition.setter . (function_body) @body)

((method_signature [
  (function_signature name: (identifier) @name)
  (getter_signature name: (identifier) @name)
  (setter_signature name: (identifier) @name)
  (operator_signature (binary_operator) @name)
]) @definition.method . (function_body) @body)

((method_signature [
  (constructor_signature name: (identifier) @name . parameters: (_))
  (factory_constructor_signature (identifier) @name . (formal_parameter_list))
]) @definition.constructor . (function_body) @body)

(declaration [
  (constructor_signature name: (identifier) @name . parameters: (_))
  (constant_constructor_signature (identifier) @name . (formal_parameter_list))
  (factory_constructor_signature (identifier) @name . (formal_parameter_list))
  (redirecting_factory_constructor_signature (identifier) @name . (formal_parameter_list))
]) @definition.constructor

(declaration [
  (function_signature name: (identifier) @name)
  (getter_signature name: (identifier) @name)
  (setter_signature name: (identifier) @name)
]) @definition.method

(program (function_signature name: (identifier) @name) @definition.function)

(local_function_declaration (lambda_expression
  parameters: (function_signature name: (identifier) @name)
  body: (_) @body)) @definition.function

; Constants and variables of a file, and what all objects of a class share.
(program (static_final_declaration_list (static_final_declaration (identifier) @name) @definition.constant))

(program (initialized_identifier_list (initialized_identifier . (identifier) @name) @definition.variable))

(declaration (static_final_declaration_list (static_final_declaration (identifier) @name) @definition.constant))
