module modelgate.test/gojson

go 1.26.0
