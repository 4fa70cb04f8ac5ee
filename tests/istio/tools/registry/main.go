// Command registry is the registry of the CNCF distribution project, with its file system storage and nothing else: its own
// command brings in the storage of three clouds, which takes minutes to compile.
package main

import (
	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

func main() {
	if err := registry.RootCmd.Execute(); err != nil {
		panic(err)
	}
}
