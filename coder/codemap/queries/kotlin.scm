; Definitions in Kotlin: @definition.KIND is the whole node, @name what it is called, @body where its head ends.

(class_declaration "interface" name: (identifier) @name [(class_body) (enum_class_body)]? @body) @definition.interface

(class_declaration name: (identifier) @name [(class_body) (enum_class_body)]? @body) @definition.class

(object_declaration name: (identifier) @name (class_body)? @body) @definition.object

(companion_object name: (identifier) @name (class_body)? @body) @definition.object

(companion_object !name "companion" @name (class_body)? @body) @definition.object

(function_declaration name: (identifier) @name (function_body)? @body) @definition.function

(secondary_constructor "constructor" @name (block)? @body) @definition.constructor

(type_alias type: (identifier) @name) @definition.type

; Properties of a file or class; those inside a function are nobody's business.
(source_file (property_declaration (variable_declaration (identifier) @name)) @definition.property)

(class_body (property_declaration (variable_declaration (identifier) @name)) @definition.property)

(enum_class_body (property_declaration (variable_declaration (identifier) @name)) @definition.property)
