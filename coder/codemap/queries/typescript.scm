; Definitions in TypeScript and TSX: @definition.KIND is the whole node, @name what it is called.

(class_declaration name: (type_identifier) @name) @definition.class

(abstract_class_declaration name: (type_identifier) @name) @definition.class

(interface_declaration name: (type_identifier) @name) @definition.interface

(enum_declaration name: (identifier) @name) @definition.enum

(type_alias_declaration name: (type_identifier) @name) @definition.type

(internal_module name: (_) @name) @definition.namespace

(module name: (_) @name) @definition.namespace

(function_declaration name: (identifier) @name) @definition.function

(generator_function_declaration name: (identifier) @name) @definition.function

(function_signature name: (identifier) @name) @definition.function

(method_definition name: [(property_identifier) (private_property_identifier)] @name) @definition.method

(method_signature name: (property_identifier) @name) @definition.method

(abstract_method_signature name: (property_identifier) @name) @definition.method

; A function or class that a variable, a field or an object's key gives its name to.
(variable_declarator
  name: (identifier) @name
  value: [(arrow_function) (function_expression) (generator_function)]) @definition.function

(variable_declarator name: (identifier) @name value: (class)) @definition.class

(public_field_definition
  name: [(property_identifier) (private_property_identifier)] @name
  value: [(arrow_function) (function_expression)]) @definition.method

(pair
  key: (property_identifier) @name
  value: [(arrow_function) (function_expression) (generator_function)]) @definition.method

(assignment_expression
  left: [(identifier) @name (member_expression property: (property_identifier) @name)]
  right: [(arrow_function) (function_expression) (generator_function)]) @definition.function

; A function that is called something where it is passed on.
(arguments (function_expression name: (identifier) @name) @definition.function)

; What test runners call a test or a group of tests.
(call_expression
  function: [
    (identifier) @keyword
    (member_expression object: (identifier) @keyword)
    (call_expression function: (member_expression object: (identifier) @keyword))
  ]
  arguments: (arguments
    . [(string (string_fragment) @name) (template_string . (string_fragment) @name)]
    [(arrow_function) (function_expression)])
  (#one-of? @keyword "describe" "it" "test" "context" "suite" "specify")) @definition.test

; Module level only.
(program [
  (lexical_declaration (variable_declarator name: (identifier) @name) @definition.constant)
  (variable_declaration (variable_declarator name: (identifier) @name) @definition.constant)
  (export_statement (lexical_declaration (variable_declarator name: (identifier) @name) @definition.constant))
])
