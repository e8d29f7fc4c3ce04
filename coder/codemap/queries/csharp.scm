; Definitions in C#: @definition.KIND is the whole node, @name what it is called.

(class_declaration name: (identifier) @name) @definition.class

(interface_declaration name: (identifier) @name) @definition.interface

(struct_declaration name: (identifier) @name) @definition.struct

(record_declaration name: (identifier) @name) @definition.record

(enum_declaration name: (identifier) @name) @definition.enum

(delegate_declaration name: (identifier) @name) @definition.delegate

(method_declaration name: (identifier) @name) @definition.method

(local_function_statement name: (identifier) @name) @definition.function

(constructor_declaration name: (identifier) @name) @definition.constructor

(destructor_declaration name: (identifier) @name) @definition.destructor

(operator_declaration operator: _ @name) @definition.operator

(conversion_operator_declaration type: (_) @name) @definition.operator

(property_declaration name: (identifier) @name accessors: (_)? @body value: (_)? @body) @definition.property

(indexer_declaration "this" @name accessors: (_)? @body value: (_)? @body) @definition.property

(event_field_declaration (variable_declaration (variable_declarator name: (identifier) @name))) @definition.event

(event_declaration name: (identifier) @name) @definition.event

; Data that all objects share.
(field_declaration
  (modifier "const")
  (variable_declaration (variable_declarator name: (identifier) @name))) @definition.constant

(field_declaration
  (modifier "static")
  (variable_declaration (variable_declarator name: (identifier) @name))) @definition.constant
