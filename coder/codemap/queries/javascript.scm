; Definitions in JavaScript, JSX included: @definition.KIND is the whole node, @name what it is called.

(class_declaration name: (identifier) @name) @definition.class

(function_declaration name: (identifier) @name) @definition.function

(generator_function_declaration name: (identifier) @name) @definition.function

(method_definition name: [(property_identifier) (private_property_identifier)] @name) @definition.method

; A function or class that a variable, a field or an object's key gives its name to.
(variable_declarator
  name: (identifier) @name
  value: [(arrow_function) (function_expression) (generator_function)]) @definition.function

(variable_declarator name: (identifier) @name value: (class)) @definition.class

(field_definition
  property: [(property_identifier) (private_property_identifier)] @name
  value: [(arrow_function) (function_expression)]) @definition.method

(pair
  key: (property_identifier) @name
  value: [(arrow_function) (function_expression) (generator_function)]) @definition.method

(assignment_expression
  left: [(identifier) @name (member_expression property: (property_identifier) @name)]
  right: [(arrow_function) (function_expression) (generator_function)]) @definition.function

(assignment_expression
  left: [(identifier) @name (member_expression property: (property_identifier) @name)]
  right: (class)) @definition.class

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
