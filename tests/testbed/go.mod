// Marks the module root only. Each Kubernetes version has its own module file,
// used as `go build -modfile=v1.36/go.mod .`
module kubernaut.dev/testbed

go 1.26.0
