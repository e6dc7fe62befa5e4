// Package middleware holds Peal to work behind the compressing middlewares that Go programs really use. It is a module of
// its own, so that they are nobody's dependencies.
package middleware
