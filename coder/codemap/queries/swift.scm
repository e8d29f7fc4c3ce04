; Definitions in Swift: @definition.KIND is the whole node, @name what it is called.

(class_declaration declaration_kind: "struct" name: (type_identifier) @name) @definition.struct

(class_declaration declaration_kind: "enum" name: (type_identifier) @name) @definition.enum

(class_declaration declaration_kind: "actor" name: (type_identifier) @name) @definition.actor

(class_declaration declaration_kind: "class" name: (type_identifier) @name) @definition.class

(class_declaration declaration_kind: "extension" name: (user_type (type_identifier) @name .)) @definition.extension

(protocol_declaration name: (type_identifier) @name) @definition.protocol

; Its result's type is a `name` too.
(function_declaration "func" . name: _ @name) @definition.function

(protocol_function_declaration name: (simple_identifier) @name) @definition.function

(init_declaration name: "init" @name) @definition.constructor

(deinit_declaration "deinit" @name) @definition.destructor

(subscript_declaration "subscript" @name (computed_property)? @body) @definition.subscript

(macro_declaration (simple_identifier) @name) @definition.macro

(typealias_declaration name: (type_identifier) @name) @definition.type

(associatedtype_declaration name: (type_identifier) @name) @definition.type

; Properties of a file or type; those inside a function are nobody's business.
(source_file (property_declaration
  name: (pattern bound_identifier: (simple_identifier) @name)
  computed_value: (_)? @body) @definition.property)

(class_body (property_declaration
  name: (pattern bound_identifier: (simple_identifier) @name)
  computed_value: (_)? @body) @definition.property)

(enum_class_body (property_declaration
  name: (pattern bound_identifier: (simple_identifier) @name)
  computed_value: (_)? @body) @definition.property)

(protocol_property_declaration name: (pattern bound_identifier: (simple_identifier) @name)) @definition.property
