; Definitions in Ruby: @definition.KIND is the whole node, @name what it is called.

(class name: [(constant) @name (scope_resolution name: (constant) @name)]) @definition.class

(module name: [(constant) @name (scope_resolution name: (constant) @name)]) @definition.module

(method name: (_) @name) @definition.method

(singleton_method name: (_) @name) @definition.method

(alias name: (_) @name) @definition.method

; Methods that a call makes.
(call
  method: (identifier) @keyword
  arguments: (argument_list [(simple_symbol) (string (string_content))] @name)
  (#one-of? @keyword "attr_accessor" "attr_reader" "attr_writer" "mattr_accessor" "cattr_accessor" "class_attribute"))
  @definition.attribute

(call
  method: (identifier) @keyword
  arguments: (argument_list . [(simple_symbol) (string (string_content))] @name)
  (#one-of? @keyword "alias_method" "define_method" "def_node_matcher" "def_node_search" "delegate" "scope"))
  @definition.method

; What RSpec, Minitest and Rails call a test or a group of tests.
(call
  method: (identifier) @keyword
  arguments: (argument_list . [
    (string (string_content) @name)
    (constant) @name
    (scope_resolution) @name
  ])
  block: (_) @body
  (#one-of? @keyword "describe" "context" "it" "specify" "test" "feature" "scenario" "shared_examples")) @definition.test

; A constant, a class made by a call among them.
(program (assignment left: (constant) @name) @definition.constant)

(body_statement (assignment left: (constant) @name) @definition.constant)
