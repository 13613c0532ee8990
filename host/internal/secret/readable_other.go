//go:build !unix

package secret

import "io/fs"

// readable is nothing where the bits of a file's mode do not say who may read it.
func readable(fs.FileInfo) fs.FileMode { return 0 }
