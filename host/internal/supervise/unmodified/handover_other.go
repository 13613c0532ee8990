//go:build !unix

package unmodified

func hand(path string, content []byte) (handed, error) { return handOnDisk(path, content) }
