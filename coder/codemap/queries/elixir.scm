; Definitions in Elixir, all of them calls: @definition.KIND is the whole node, @name what it is called, @body where its head ends.

(call
  target: (identifier) @keyword
  (arguments . (alias) @name)
  (do_block)? @body
  (#one-of? @keyword "defmodule" "defprotocol" "defimpl")) @definition.module

(call
  target: (identifier) @keyword
  (arguments . [
    (identifier) @name
    (call target: (identifier) @name)
    (binary_operator left: (call target: (identifier) @name) operator: "when")
    (binary_operator left: (identifier) @name operator: "when")
  ])
  (do_block)? @body
  (#one-of? @keyword "def" "defp" "defdelegate" "defn" "defnp")) @definition.function

(call
  target: (identifier) @keyword
  (arguments . [
    (identifier) @name
    (call target: (identifier) @name)
    (binary_operator left: (call target: (identifier) @name) operator: "when")
  ])
  (do_block)? @body
  (#one-of? @keyword "defmacro" "defmacrop" "defguard" "defguardp")) @definition.macro

(call
  target: (identifier) @keyword
  (arguments . (binary_operator left: (identifier) operator: _ @name right: (identifier)))
  (do_block)? @body
  (#one-of? @keyword "def" "defp" "defmacro" "defmacrop")) @definition.operator

(call target: (identifier) @name (#one-of? @name "defstruct" "defexception")) @definition.struct

(call
  target: (identifier) @keyword
  (arguments . (string (quoted_content) @name))
  (do_block) @body
  (#one-of? @keyword "test" "describe")) @definition.test

(unary_operator operator: "@" operand: (call
  target: (identifier) @keyword
  (arguments . [
    (binary_operator left: [(identifier) @name (call target: (identifier) @name)] operator: "::")
    (binary_operator
      left: (binary_operator left: [(identifier) @name (call target: (identifier) @name)] operator: "::")
      operator: "when")
  ])
  (#one-of? @keyword "type" "typep" "opaque" "callback" "macrocallback"))) @definition.type
