from support.nvml.driver import gpus, nvml_folder  # noqa: F401
