// What measures Peal beside others and at sizes of its own. A module of its own, that users' programs know nothing of.
module github.com/peal-dev/peal/lab

go 1.26.0

replace github.com/peal-dev/peal => ..

require (
	github.com/peal-dev/peal v0.0.0-00010101000000-000000000000
	go.uber.org/goleak v1.3.0
	golang.org/x/sys v0.49.0
)
