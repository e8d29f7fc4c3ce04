; Definitions in Python: @definition.KIND is the whole node, @name what it is called.

(class_definition name: (identifier) @name) @definition.class

(function_definition name: (identifier) @name) @definition.function

(type_alias_statement left: (type (identifier) @name)) @definition.type

; Module level only: names inside a function are nobody's business.
(module (expression_statement (assignment left: (identifier) @name) @definition.constant))
