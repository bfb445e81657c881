module benches

go 1.24

require (
	github.com/jackc/puddle/v2 v2.2.3
	ostler v0.1.0
)

require golang.org/x/sync v0.1.0 // indirect

replace ostler => ../../bindings/go
