// Command pealbench runs the load generator. `peal bench` is the same.
//
//	go run ./bench/cmd/pealbench fanout --command "bin/peal serve --dev --listen 127.0.0.1:0 --max-publish-rate 1000000"
package main
