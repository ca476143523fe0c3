/** How places are written, for the help of every command that takes one. */
export const placeHelp = `
A place is docker://NAME (a registry), oci:DIR[:REF], oci-archive:FILE[:REF],
docker-archive:FILE[:REF|:@N], dir:DIR, or a name in the local store. FILE may be -.
`;

/** The same for commands about what refers to images. */
export const subjectHelp = `
An image is a name in a registry, docker://NAME or NAME alone, or a place such as oci:DIR:REF.
`;
