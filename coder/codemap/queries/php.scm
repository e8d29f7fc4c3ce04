; Definitions in PHP, in files that are mostly HTML too: @definition.KIND is the whole node, @name what it is called.

(class_declaration name: (name) @name) @definition.class

(interface_declaration name: (name) @name) @definition.interface

(trait_declaration name: (name) @name) @definition.trait

(enum_declaration name: (name) @name) @definition.enum

(function_definition name: (name) @name) @definition.function

(method_declaration name: (name) @name) @definition.method

(const_declaration (const_element (name) @name)) @definition.constant

(function_call_expression
  function: (name) @keyword
  arguments: (arguments . (argument (string (string_content) @name)))
  (#one-of? @keyword "define")) @definition.constant

(property_declaration
  (static_modifier)
  (property_element name: (variable_name (name) @name))) @definition.property

; A function that a variable of the file gives its name to.
(program (expression_statement
  (assignment_expression
    left: (variable_name (name) @name)
    right: [(anonymous_function) (arrow_function)]) @definition.function))
