/** What tests say of the modes of the files that they make holds whoever runs them. */
process.umask(0o022);
