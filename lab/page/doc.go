// Package page keeps the sections of a Markdown page apart, so that programs that measure at different times share one.
package page
