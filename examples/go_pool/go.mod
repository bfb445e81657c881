module go_pool

go 1.24

require ostler v0.1.0

replace ostler => ../../bindings/go
