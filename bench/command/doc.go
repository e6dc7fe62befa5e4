// Package command is the command line of the load generator and of the calculator, shared by pealbench and peal.
package command
