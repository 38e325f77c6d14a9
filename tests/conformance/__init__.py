"""What AWS refuses, by plain boto3: one test for each rule of the emulator. Each fails against bare moto; that is what proves its rule."""
