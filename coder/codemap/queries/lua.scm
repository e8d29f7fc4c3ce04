; Definitions in Lua: @definition.KIND is the whole node, @name what it is called.

(function_declaration name: [
  (identifier) @name
  (dot_index_expression field: (identifier) @name)
]) @definition.function

(function_declaration name: (method_index_expression method: (identifier) @name)) @definition.method

; A function that a variable or a table's key gives its name to.
(assignment_statement
  (variable_list . name: [
    (identifier) @name
    (dot_index_expression field: (identifier) @name)
    (bracket_index_expression field: (string) @name)
  ])
  (expression_list . value: (function_definition))) @definition.function

(field name: [(identifier) (string)] @name value: (function_definition)) @definition.function

; Of the file only.
(chunk (variable_declaration (assignment_statement (variable_list name: (identifier) @name))) @definition.variable)

(chunk (assignment_statement (variable_list name: (identifier) @name)) @definition.variable)
