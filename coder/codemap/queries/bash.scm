; Definitions in shell scripts: @definition.KIND is the whole node, @name what it is called.

(function_definition name: (word) @name) @definition.function

; Of the file only: what a function sets is nobody's business.
(program (variable_assignment name: (variable_name) @name) @definition.variable)

(program (declaration_command (variable_assignment name: (variable_name) @name) @definition.variable))
