// Package middleware holds Peal to work behind the compressing middlewares that Go programs really use.
package middleware
