//go:build !unix

package prebuilt

func hand(path string, content []byte) (handed, error) { return handOnDisk(path, content) }
